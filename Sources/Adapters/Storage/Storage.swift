import COpenSSL
import CSQLite
