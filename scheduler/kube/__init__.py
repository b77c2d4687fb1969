"""The edge to Kubernetes, by what is done: parse, group, follow, bind, publish; `api` is the one door to the API server."""
