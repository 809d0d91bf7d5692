-- Spaces and templates run in the generator's strict environment (generator/library.c): nothing that reads the world,
-- whose result may vary, or that catches errors.
stds.sandbox = {
  read_globals = {
    "ipairs", "select", "tonumber", "type", "assert", "error", "tostring", "pad", "sorted_pairs", "use",
    string = { fields = {
      "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse", "sub",
      "unpack", "upper",
    } },
    table = { fields = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" } },
    math = { fields = {
      "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min",
      "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type", "ult",
    } },
  },
}
std = "sandbox"
max_line_length = 120
