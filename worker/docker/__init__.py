"""The Engine adapter, and the only importer of aiodocker. The Engine's JSON becomes an observation here."""
