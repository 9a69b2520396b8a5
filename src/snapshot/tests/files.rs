//! Files: odd names, other files, and that nothing else appears beside one.
