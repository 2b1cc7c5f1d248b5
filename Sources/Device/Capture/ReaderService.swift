import Identification
import LinuxIO
import Provenance
import ServiceLifecycle

/// Passes what the tag reader says to the session.
struct ReaderService: Service {
  let settings: TagReader.Settings
  let events: DeviceEvents
  let time: any TimeSource
  /// Where `status` looks; nil at a terminal.
  let board: StatusBoard?

  func run() async throws {
    let reader = try TagReader(settings, clock: time)
    defer { reader.stop() }
    var isLost = false
    for await event in reader.events.cancelOnGracefulShutdown() {
      switch event {
      case .connected:
        board?.readerConnected()
        if isLost { events.send(.readerReturned) }
        isLost = false
      case .disconnected(let error, _):
        board?.readerLost("\(error)")
        if !isLost { events.send(.readerLost(reason: "\(error)")) }
        isLost = true
      case .presentation(.presented(let reading)):
        board?.tagPresented()
        events.send(.presented(reading))
      case .presentation(.removed): events.send(.removed)
      case .presentation(.ambiguous): events.send(.ambiguousTags)
      case .presentation(.refused): events.send(.unreadableTag)
      case .reading, .reject: break
      }
    }
  }
}
