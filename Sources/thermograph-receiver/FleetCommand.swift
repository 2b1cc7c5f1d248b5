import ArgumentParser
import CaptureDatabase
import Provenance

struct FleetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fleet", abstract: "One line for each device: last seen, what waits there, certificate, alerts.")

  @OptionGroup var database: DatabaseOptions

  @Flag(name: .long, help: "Print one JSON object for each device.")
  var json = false

  func validate() throws { _ = try database.target() }

  func run() throws {
    do {
      let devices = try FleetReport.devices(try database.target())
      for device in devices { print(json ? try CanonicalJSON.text(of: device) : device.line) }
      if devices.isEmpty, !json { say("no device has reported yet") }
    } catch let error as DatabaseError {
      say("thermograph-receiver fleet: \(error)")
      throw error.kind == .misuse ? ExitCode(78) : ExitCode.failure
    }
  }
}
