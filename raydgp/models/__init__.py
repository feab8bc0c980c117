"""A user's network: imported, packed, cut into tasks, compiled, and the folder that it is deployed to."""
