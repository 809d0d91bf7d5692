-- Templates and spaces run in the generator's strict environment: Lua 5.4 without what depends on the outside.
std = "lua54"
max_line_length = 120
codes = true
