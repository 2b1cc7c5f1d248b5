import Forwarding
import Glibc
import LocalFiles
import Provenance
import Synchronization
import Threads

/// A connection to an MQTT broker, on a thread of its own.
///
/// It does what it is told and reports what happened; when to connect again, what to send and how much of it is the
/// delivery logic's to decide. Every method may be called from any thread, returns at once, and takes effect on the
/// link's thread. `stop` must be called before the last reference goes: the thread keeps running otherwise.
///
/// ```
/// let client = try MQTTClient(time: clock, events: { event in ... })
/// client.connect(settings)                    // -> .connected(limits) or .connectionFailed(failure), exactly one
/// client.publish(message, token: token)       // -> .published(token, outcome), or the end of the connection
/// client.disconnect()                         // -> .disconnected(requested)
/// await client.stop()                         // at most 2 s, in every state
/// ```
package final class MQTTClient: Sendable {
  private let commands: CommandQueue
  private let thread: NamedThread

  /// Starts the thread. `events` runs on it, in order; it may call this client's methods but must not wait for anything. Throws when the system gives no thread or no wake-up signal.
  package init(
    time: any TimeSource, events: @escaping @Sendable (LinkEvent) -> Void
  ) throws(LinkFailure) {
    do throws(SystemCallError) {
      let commands = CommandQueue(wake: try WakeSignal())
      self.commands = commands
      thread = try NamedThread("broker") {
        LinkLoop(commands: commands, time: time, events: events).run()
      }
    } catch {
      throw LinkFailure(kind: .unreachable, detail: error.description)
    }
  }

  /// Begins to connect. Ends in `.connected` or `.connectionFailed`; the latter at once when an attempt or a
  /// connection is already under way.
  package func connect(_ settings: LinkSettings) {
    commands.add(.connect(settings))
  }

  /// Says good-bye, so that the will is not sent, and closes. Ends in `.disconnected` (or `.connectionFailed`, during
  /// an attempt) of kind `.requested`; does nothing without a connection.
  package func disconnect() {
    commands.add(.disconnect)
  }

  /// Asks the broker to send nothing more on the subscriptions; what is under way still comes. For a receiver that drains
  /// before it stops. Does nothing without a connection.
  package func unsubscribe() {
    commands.add(.unsubscribe)
  }

  /// Whether what the broker sends is read. While it is not, the line's buffers fill and the broker keeps the rest: nothing
  /// is lost, as it would be by leaving. Outcomes of publishes wait too, and a connection that is not read for longer than
  /// its keep-alive ends. Every connection begins with being read. Does nothing without one.
  package func read(_ isWanted: Bool) {
    commands.add(.read(isWanted))
  }

  /// Hands a message over. Its outcome is `.published` with `token`; when the connection ends first there is none.
  /// Beyond the broker's window up to 256 publishes wait for their turn. `.notSent` at once when there is no
  /// connection or no place to wait.
  package func publish(_ message: OutgoingMessage, token: PublishToken) {
    commands.add(.publish(message, token))
  }

  /// Hands several messages over, in their order.
  package func publish(_ messages: [(message: OutgoingMessage, token: PublishToken)]) {
    commands.add(messages.map { .publish($0.message, $0.token) })
  }

  /// Calls `answer` on the link's thread, for a watchdog: a thread that hangs never does.
  package func ask(_ answer: @escaping @Sendable () -> Void) {
    commands.add(.answer(answer))
  }

  /// Closes as `disconnect` does and ends the thread, within 2 s. The handlers are not called afterwards.
  package func stop() async {
    commands.add(.stop)
    await thread.waitUntilEnded()
  }
}

/// What the link's thread is asked to do.
enum LinkCommand: Sendable {
  case connect(LinkSettings)
  case publish(OutgoingMessage, PublishToken)
  case disconnect
  case unsubscribe
  case read(Bool)
  case answer(@Sendable () -> Void)
  case stop
}

/// Commands on their way to the link's thread.
final class CommandQueue: Sendable {
  let wake: WakeSignal
  private let waiting = Mutex<[LinkCommand]>([])

  init(wake: WakeSignal) {
    self.wake = wake
  }

  /// The delivery logic's window bounds what waits here.
  func add(_ command: LinkCommand) { add([command]) }

  func add(_ commands: [LinkCommand]) {
    let wasEmpty = waiting.withLock { waiting in
      defer { waiting += commands }
      return waiting.isEmpty
    }
    if wasEmpty { wake.signal() }
  }

  func takeAll() -> [LinkCommand] {
    waiting.withLock { waiting in
      let taken = waiting
      waiting.removeAll(keepingCapacity: true)
      return taken
    }
  }
}
