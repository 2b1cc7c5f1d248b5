import LocalFiles

/// Messages for people go to standard error, so that standard output stays readable by programs.
func printToStandardError(_ line: String) { StandardError.write(Array("\(line)\n".utf8)) }
