import ArgumentParser

struct CameraCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "camera",
    abstract: "Reads, decodes and calibrates the thermal camera.",
    subcommands: [CameraDecodeCommand.self])
}
