"""The verbs: each joins the stages of the line into one resumable job."""
