"""Who is here: leases of processes, people with connections, and the claims that they joined and left."""
