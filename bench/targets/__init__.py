"""What is measured: a real server on a free port with a home folder of its own, and what runs against it."""
