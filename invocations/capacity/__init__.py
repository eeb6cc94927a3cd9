"""Whether models fit into the memory of instances: a simulation of the cache, what it says of the
calls of an endpoint, and of instances that are not there yet.
"""
