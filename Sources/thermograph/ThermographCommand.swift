import ArgumentParser

@main
struct ThermographCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thermograph",
    abstract: "Captures thermal images, screens them on the device and delivers them. Research use only.",
    subcommands: [
      AssessCommand.self, CameraCommand.self, CaptureCommand.self, CheckCommand.self, DoctorCommand.self,
      EnrollCommand.self, ImportCommand.self, InferCommand.self, ModelCommand.self, OutboxCommand.self,
      ReceiveCommand.self, ReloadCommand.self, RunCommand.self, SessionCommand.self, StatusCommand.self,
      TagCommand.self,
    ]
  )
}
