"""`timebank bench`: how fast this server is on this machine, as ratios within one run.

Owns: the server processes, databases, load and measurements of a benchmark. Refuses: turning
durability off, and touching any server or database that it did not start itself.
"""
