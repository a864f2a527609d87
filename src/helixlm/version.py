"""The version of helixlm, written into every manifest and checkpoint."""

__version__ = "0.1.0"
