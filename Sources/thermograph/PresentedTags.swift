import Configuration
import Identification
import LinuxIO

/// The tags that are held to the configured reader, one after the other, for commands that need some.
struct PresentedTags {
  private let tags: TagReader
  private let seconds: Int

  /// - Parameter seconds: how long to wait for the first, and after each for the next.
  init(_ settings: Settings, seconds: Int) throws {
    tags = try TagReader(.init(settings.reader, path: settings.reader.device), clock: try SystemClock())
    self.seconds = seconds
  }

  /// - Parameter body: returns whether it wants another one.
  func forEach(_ body: (TagUID) throws -> Bool) async throws {
    var alarm = armed()
    defer {
      alarm.cancel()
      tags.stop()
    }
    for await event in tags.events {
      switch event {
      case .presentation(.presented(let reading)):
        guard try body(reading.uid) else { return }
        alarm.cancel()
        alarm = armed()
      case .presentation(.ambiguous): printToStandardError("more than one tag: hold only one to the reader")
      case .presentation(.refused(let refusal)): printToStandardError("refused: \(refusal)")
      case .disconnected(let error, _): throw CommandFailure("\(error); does the service hold the reader?")
      case .connected, .reading, .reject, .presentation(.removed): break
      }
    }
  }

  private func armed() -> Task<Void, Never> {
    Task {
      do {
        try await Task.sleep(for: .seconds(seconds))
        tags.stop()
      } catch {
        // Another tag came, or the command is done.
      }
    }
  }
}
