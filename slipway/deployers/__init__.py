"""Deployers: releases of services rolled out, recorded, rolled back and listed, where they run."""
