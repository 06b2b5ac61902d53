"""The tests of slipway/kubernetes/manifests."""
