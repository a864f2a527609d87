"""Complete, named configurations, and the schema that checks them."""
