"""osakd in other libraries' training loops: one module for each library, which imports it."""
