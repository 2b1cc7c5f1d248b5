/// What a test waited for in vain, or could not set up.
package struct TestFault: Error, CustomStringConvertible {
  package var description: String

  package init(description: String) { self.description = description }
}

/// Polls `condition` until it holds; the limit only guards against a hang.
package func eventually(
  _ what: String, withinSeconds limit: Double = 30, _ condition: () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + .seconds(limit)
  while try await !condition() {
    guard ContinuousClock.now < deadline else {
      throw TestFault(description: "did not happen within \(limit) s: \(what)")
    }
    try await Task.sleep(for: .milliseconds(5))
  }
}
