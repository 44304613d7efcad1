"""Jobs that start by themselves: a task package arrives in storage, a published policy comes out."""
