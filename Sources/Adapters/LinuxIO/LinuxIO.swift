import CGPIO
import CI2C
import CLinux
