"""Login for other sites, by OpenID Connect."""
