import ArgumentParser
import ConfigurationFiles
import Device
import LinuxIO
import Provenance

/// Where the running service is asked.
struct ServiceOptions: ParsableArguments {
  @Option(name: .long, help: "The main configuration file; it says where the control socket is.")
  var config = ConfigurationFolder.installedMainFile

  @Option(name: .long, help: "The service's control socket, instead of the configuration's.")
  var socket: String?

  /// Nobody answered: `EX_UNAVAILABLE` of sysexits.h, told apart from a device that answered and is not well.
  static let notRunning = ExitCode(69)

  var path: String {
    // An unusable configuration must not hide the service that runs in safe mode because of it.
    socket ?? ConfigurationFolder(mainFile: config).read().settings.paths.runtimeDirectory + "/control.socket"
  }

  /// Asks, and hands over every line of the answer.
  ///
  /// - Parameter line: false ends the conversation.
  func ask(
    _ request: ControlRequest, silenceSeconds: Int = 10, line: (ControlReply) throws -> Bool
  ) throws {
    var failure: (any Error)?
    do {
      try ControlClient(path: path).ask(
        CanonicalJSON.bytes(of: request), silenceMilliseconds: silenceSeconds * 1000
      ) { bytes in
        do {
          return try line(ControlReply(decoding: bytes))
        } catch {
          failure = error
          return false
        }
      }
    } catch let error as ControlClientError {
      printToStandardError("\(error)")
      throw Self.notRunning
    }
    if let failure { throw failure }
  }

  /// Asks for one line.
  func answer(to request: ControlRequest, silenceSeconds: Int = 10) throws -> ControlReply {
    var reply = ControlReply.error("the service ended the conversation")
    try ask(request, silenceSeconds: silenceSeconds) {
      reply = $0
      return false
    }
    if let error = reply.error {
      printToStandardError(error)
      throw ExitCode.failure
    }
    return reply
  }
}

/// One line of JSON.
func jsonText(_ value: some Encodable) throws -> String {
  try CanonicalJSON.text(of: value)
}
