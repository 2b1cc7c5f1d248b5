import Glibc
import Provenance
import Storage

// What the programs of the tests have in common that are driven by their arguments and standard output.

/// One line on standard output, at once: whoever reads it acts on it.
package func say(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = write(STDOUT_FILENO, bytes, bytes.count)
}

/// `name=value` arguments.
package struct Options {
  package private(set) var values: [String: String] = [:]

  package init(_ arguments: ArraySlice<String>) {
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { values[parts[0]] = parts[1] }
    }
  }

  package func number(_ name: String, _ standard: Int) -> Int { values[name].flatMap { Int($0) } ?? standard }
}

/// The JSON list of a record's images.
package func imageList(_ images: [(name: String, bytes: [UInt8])]) -> String {
  images.map { name, bytes in
    #"{"name":"\#(name)","bytes":\#(bytes.count),"sha256":"\#(Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)))"}"#
  }.joined(separator: ",")
}
