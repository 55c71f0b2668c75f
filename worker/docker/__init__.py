"""The Engine adapter, and the only importer of aiodocker. Its JSON becomes an observation at this border."""
