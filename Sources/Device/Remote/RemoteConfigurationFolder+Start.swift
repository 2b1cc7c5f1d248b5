import ConfigurationFiles
import Provenance
import Remote

extension RemoteConfigurationFolder {
  /// The program starts: what is tried from afar has its one start, or is taken back because it had it. Before the files are
  /// read.
  ///
  /// - Returns: whether it was taken back.
  package func takeStart(time: @autoclosure () throws -> some TimeSource) throws -> Bool {
    guard let attempt = try read()?.attempt, attempt.isTrying else { return false }
    let reply = CommandReply(
      configuration: attempt.text, .rolledBack, reason: "the device started again before it was confirmed",
      at: try time().now())
    let bytes = try reply.encoded()
    return try start(takingBackWith: bytes)
  }
}
