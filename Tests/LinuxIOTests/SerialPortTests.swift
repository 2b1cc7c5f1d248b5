import DeviceSimulation
import Foundation
import LinuxIO
import TestSupport
import Testing
import Threads

@Suite("Serial port")
struct SerialPortTests {
  private func read(
    _ port: inout SerialPort, timeoutMilliseconds: Int = 5000, wake: WakeSignal? = nil
  ) throws(SerialPortError) -> (SerialPort.ReadOutcome, [UInt8]) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 1)
    defer { buffer.deallocate() }
    let outcome = try port.read(into: buffer, timeoutMilliseconds: timeoutMilliseconds, wake: wake)
    guard case .bytes(let count) = outcome else { return (outcome, []) }
    return (outcome, Array(buffer.prefix(count)))
  }

  @Test func bytesPassUnchangedBothWays() throws {
    let terminal = try PseudoTerminal()
    var port = try SerialPort(path: terminal.path, baud: 115_200)
    // Every value that a terminal in cooked mode would edit, echo or take for a signal.
    let bytes: [UInt8] = [0x00, 0x03, 0x04, 0x0A, 0x0D, 0x11, 0x13, 0x1A, 0x7F, 0x80, 0xFF]
    terminal.send(bytes)
    var received: [UInt8] = []
    while received.count < bytes.count {
      let (outcome, piece) = try read(&port)
      guard case .bytes = outcome else {
        Issue.record("expected bytes, got \(outcome)")
        break
      }
      received += piece
    }
    #expect(received == bytes)
    try port.write(bytes, timeoutMilliseconds: 1000)
    #expect(terminal.receive() == bytes)
  }

  @Test func silenceTimesOutAndAWakeSignalEndsTheWait() throws {
    let terminal = try PseudoTerminal()
    var port = try SerialPort(path: terminal.path, baud: 9600)
    #expect(try read(&port, timeoutMilliseconds: 10).0 == .timedOut)
    let wake = try WakeSignal()
    wake.signal()
    #expect(try read(&port, wake: wake).0 == .woken)
    #expect(try read(&port, wake: wake).0 == .woken)
    wake.reset()
    #expect(try read(&port, timeoutMilliseconds: 10, wake: wake).0 == .timedOut)
  }

  @Test func aPeerThatGoesIsUnpluggedAfterItsLastBytes() throws {
    var terminal: PseudoTerminal? = try PseudoTerminal()
    let path = terminal?.path ?? ""
    var port = try SerialPort(path: path, baud: 9600)
    terminal = nil
    do {
      _ = try read(&port)
      Issue.record("expected an error")
    } catch {
      #expect(error == .unplugged(path: path))
      #expect("\(error)" == "\(path): the device went away")
    }
  }

  /// Root may open an exclusive terminal, the service may not: what counts is the terminal's own word (TIOCGEXCL).
  @Test func aPortIsExclusiveWhileItIsOpenAndNoLonger() throws {
    let terminal = try PseudoTerminal()
    let other = open(terminal.path, O_RDWR | O_NOCTTY | O_NONBLOCK)
    defer { close(other) }
    func exclusive() -> Int32 {
      var answer: Int32 = -1
      #expect(ioctl(other, 0x8004_5440, &answer) == 0)
      return answer
    }
    func whileOpen() throws -> Int32 {
      let port = try SerialPort(path: terminal.path, baud: 9600)
      let answer = exclusive()
      _ = port.path
      return answer
    }
    #expect(try whileOpen() == 1)
    #expect(exclusive() == 0)
    #expect(try whileOpen() == 1)
  }

  @Test func eachReasonNotToOpenHasItsError() throws {
    let folder = try ScratchFolder()
    let file = folder.file("file")
    try Data().write(to: URL(fileURLWithPath: file))
    let terminal = try PseudoTerminal()
    let held = try SerialPort(path: terminal.path, baud: 9600)
    let free = try PseudoTerminal()
    let table: [(String, Int, SerialPortError)] = [
      (folder.file("none"), 9600, .absent(path: folder.file("none"))),
      (file, 9600, .notATerminal(path: file)),
      (held.path, 9600, .busy(path: held.path)),
      (free.path, 1234, .unsupportedSpeed(path: free.path, baud: 1234)),
      (free.path, -1, .unsupportedSpeed(path: free.path, baud: -1)),
    ]
    for (path, baud, expected) in table {
      do {
        _ = try SerialPort(path: path, baud: baud)
        Issue.record("expected \(expected)")
      } catch {
        #expect(error == expected)
        #expect("\(error)".hasPrefix("\(path): "))
      }
    }
  }

  @Test func aPortIsFreeAgainOnceItIsClosed() throws {
    let terminal = try PseudoTerminal()
    for _ in 0..<3 {
      let port = try SerialPort(path: terminal.path, baud: 9600)
      #expect(port.path == terminal.path)
    }
  }

  @Test func aDeviceThatTakesNothingEndsTheWriteInTime() throws {
    let terminal = try PseudoTerminal()
    var port = try SerialPort(path: terminal.path, baud: 9600)
    do {
      try port.write([UInt8](repeating: 0x55, count: 1 << 20), timeoutMilliseconds: 50)
      Issue.record("expected a time-out")
    } catch {
      #expect(error == .writeTimeout(path: terminal.path, milliseconds: 50))
    }
    #expect(!terminal.receive().isEmpty)
  }
}
