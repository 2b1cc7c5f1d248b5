import ArgumentParser
import Device

@main
struct ThermographCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "thermograph",
    abstract: "Captures thermal images, screens them on the device and delivers them. Research use only.",
    discussion: """
      A technician's three: 'check' names every mistake in the configuration, 'doctor' looks at every part of the device \
      and says how to repair it, 'status' shows how the running device stands. '--help' after any command explains it, with \
      examples; man thermograph has all of it.

        thermograph check
        thermograph doctor
        thermograph status
        thermograph help outbox
      """,
    version: DeviceRuntime.firmware,
    subcommands: [
      AssessCommand.self, CameraCommand.self, CaptureCommand.self, CheckCommand.self, ClockCommand.self,
      DoctorCommand.self,
      EnrollCommand.self, ImportCommand.self, InferCommand.self, ModelCommand.self, OutboxCommand.self,
      ReceiveCommand.self, ReloadCommand.self, RunCommand.self, SessionCommand.self, StatusCommand.self,
      TagCommand.self,
    ]
  )
}
