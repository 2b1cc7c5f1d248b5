import LocalFiles

/// What the receiver could not do; one line for a person.
package struct ReceiverError: Error, Sendable, Equatable, CustomStringConvertible {
  package var description: String

  /// - Parameter operation: what was being done, e.g. `store`.
  package init(_ operation: String, _ path: String, reason: String) {
    description = "\(path): cannot \(operation): \(reason)"
  }

  /// - Parameter words: what a store says for itself.
  package init(inWords words: String) {
    description = words
  }

  init(_ error: FileError) {
    description = error.description
  }
}

/// Work on files in the receiver's terms.
func onDisk<Result>(_ body: () throws(FileError) -> Result) throws(ReceiverError) -> Result {
  do throws(FileError) { return try body() } catch { throw ReceiverError(error) }
}
