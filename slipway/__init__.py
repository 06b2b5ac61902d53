"""Slipway: a team's Clojure services, from a bare machine to a verified rollout."""
