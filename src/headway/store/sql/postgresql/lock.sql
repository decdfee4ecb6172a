SELECT headway_lock(:named::uuid[], :starting::uuid[], :trees::uuid[], :tasks::uuid[])
