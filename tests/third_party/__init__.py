"""Packages written for requests, each doing what its documentation shows, on this library under requests' name."""
