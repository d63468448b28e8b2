"""What the doctor looks at, by group; each check is a function from a scene to what is wrong with it."""
