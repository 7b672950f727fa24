"""A running platform: its servers, its development programs and its ten service processes, in one folder."""
