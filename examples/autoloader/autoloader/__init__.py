"""A file autoloader: new CSV files in a folder become rows of an Iceberg table, each file exactly once."""
