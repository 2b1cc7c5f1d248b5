import Configuration
import ConfigurationFiles
import Provenance
import Remote

extension RemoteConfigurationFolder {
  /// The program starts: what is tried from afar has its one start, or is taken back because it had it, or because this run
  /// could not confirm it. Before the files are read for good.
  ///
  /// - Parameter settings: with what is tried in force.
  /// - Returns: whether it was taken back.
  package func takeStart(_ settings: Settings, time: @autoclosure () throws -> some TimeSource) throws -> Bool {
    guard let attempt = try read()?.attempt, attempt.isTrying else { return false }
    let isConfirmable =
      settings.remote.configuration && settings.remote.configurationKeysFile != nil && settings.broker.host != nil
    let reply = CommandReply(
      configuration: attempt.text, .rolledBack,
      reason: isConfirmable
        ? "the device started again before it was confirmed" : "this device takes no configuration any more",
      at: try time().now())
    return try start(takingBackWith: try reply.encoded(), isConfirmable: isConfirmable)
  }
}
