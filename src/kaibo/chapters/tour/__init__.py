"""An architecture in, its identities computed two ways out."""
