"""Our custom resources and our rights as models and tables, and the manifests that are written from them."""
