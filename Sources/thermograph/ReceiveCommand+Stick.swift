import ArgumentParser
import Cryptography
import Forwarding
import Receiving

extension ReceiveCommand {
  /// Takes what lies on a stick into the folder, and lays the receipts on the stick.
  static func takeStick(
    _ stick: String, into receiver: Receiver, signer: SigningKey?, json: Bool,
    corrections: @escaping (_ site: String, _ device: String) throws -> CorrectionLog
  ) throws {
    let outcome = try StickReception(receiver, signer: signer, corrections: corrections).take(stick)
    let count = outcome.completed.count
    for note in outcome.notes { printToStandardError(note) }
    if json {
      for capture in outcome.completed { print(try ReceivedCaptureLine(capture).text()) }
    }
    printToStandardError("\(count) \(count == 1 ? "capture" : "captures") became complete")
    for file in outcome.receipts { printToStandardError("\(stick)/\(file): for thermograph outbox import") }
    for file in outcome.lists { printToStandardError("\(stick)/\(file): what lies there, to read") }
    if signer == nil, !outcome.receipts.isEmpty {
      printToStandardError("the receipts are not signed; a device that asks for it needs --signing-key")
    }
    if !outcome.notes.isEmpty { throw ExitCode.failure }
  }
}
