import ArgumentParser

@main
struct ThermographCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thermograph",
    abstract: "Captures thermal images, screens them on the device and delivers them. Research use only.",
    subcommands: [
      AssessCommand.self, CameraCommand.self, CaptureCommand.self, CheckCommand.self, ImportCommand.self,
      InferCommand.self,
      ModelCommand.self, OutboxCommand.self, ReceiveCommand.self, RunCommand.self,
      SessionCommand.self, TagCommand.self,
    ]
  )
}
