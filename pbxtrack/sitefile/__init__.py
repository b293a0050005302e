"""The site file: which sites, pools, channels and numbers there shall be. Pure; storage.sites makes it so."""
