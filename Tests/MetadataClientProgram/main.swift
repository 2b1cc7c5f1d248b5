import Cryptography
import Foundation
import LocalFiles
import Provenance
import Storage
import Trust

// The client of Trust with the command line of tuf-conformance. For tests alone: the device fetches nothing by itself.

/// The words of the command line.
struct Arguments {
  var options: [String: [String]] = [:]
  var words: [String] = []

  init(_ arguments: [String]) {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      if word.hasPrefix("--"), let value = rest.popFirst() {
        options[word, default: []].append(value)
      } else {
        words.append(word)
      }
    }
  }

  func one(_ name: String) throws(MetadataFault) -> String {
    guard let value = options[name]?.last else { throw .unavailable("\(name) is missing") }
    return value
  }
}

/// A folder for what is trusted, and a web server for the rest.
struct WebStore: MetadataStore {
  let folder: String
  let url: String

  func fetch(_ name: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    try WebFetch.get(url + "/" + name, maximumBytes: maximumBytes)
  }

  func kept(_ name: String) throws(MetadataFault) -> [UInt8]? {
    do throws(FileError) { return try BoundedFile.read("\(folder)/\(name)", maximumBytes: 5_000_000) } catch {
      if error.isMissing { return nil }
      throw .unavailable("\(error)")
    }
  }

  func keep(_ bytes: [UInt8], as name: String) throws(MetadataFault) {
    do throws(FileError) { try BoundedFile.replace("\(folder)/\(name)", with: bytes) } catch {
      throw .unavailable("\(error)")
    }
  }
}

func run(_ arguments: Arguments) throws(MetadataFault) {
  let folder = try arguments.one("--metadata-dir")
  let digests = OpenSSLDigests()
  if arguments.words.first == "init", arguments.words.count == 2 {
    let root: [UInt8]
    do throws(FileError) { root = try BoundedFile.read(arguments.words[1], maximumBytes: 512_000) } catch {
      throw .unavailable("\(error)")
    }
    try WebStore(folder: folder, url: "").keep(root, as: "root.json")
    return
  }
  let store = WebStore(folder: folder, url: try arguments.one("--metadata-url"))
  var client = try MetadataClient(
    store, nowSeconds: Int64(Date().timeIntervalSince1970), verifier: OpenSSLVerifier(), digests: digests)
  try client.refresh()
  guard arguments.words.first != "refresh" else { return }
  let base = try arguments.one("--target-base-url")
  let targets = try arguments.one("--target-dir")
  for name in arguments.options["--target-name", default: []] {
    let path = ExactText(name)
    guard let description = try client.target(path), let length = description.length else { throw .missing(name) }
    let file = targets + "/" + RoleName.encoded(path)
    if let cached = FileManager.default.contents(atPath: file), cached.count == length {
      do throws(MetadataFault) {
        try description.check([UInt8](cached), name, digests)
        continue
      } catch { print("\(name): fetched anew: \(error)") }
    }
    guard let bytes = try WebFetch.get(base + "/" + client.fileName(of: path, description), maximumBytes: length) else {
      throw .missing(name)
    }
    try description.check(bytes, name, digests)
    do throws(FileError) { try BoundedFile.replace(file, with: bytes) } catch { throw .unavailable("\(error)") }
  }
}

do throws(MetadataFault) {
  try run(Arguments(Array(CommandLine.arguments.dropFirst())))
} catch {
  FileHandle.standardError.write(Data("\(error)\n".utf8))
  exit(1)
}
