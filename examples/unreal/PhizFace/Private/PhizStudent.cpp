// The student, as phiz wrote it, and what every program wants around it: C that is also C++.
// student.stream.c, student.stream.h, face.c and face.h lie beside this file (README.md).
#include "HAL/Platform.h"

THIRD_PARTY_INCLUDES_START
#include "student.stream.c"
#include "face.c"
THIRD_PARTY_INCLUDES_END
