"""Running many runs: jobs, the pools of workers that run them, a lock against a second runner, progress."""
