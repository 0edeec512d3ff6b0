"""The methods of the remote API, one file for each resource; ``creation`` keeps the promise "never twice"."""
