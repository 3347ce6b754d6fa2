/* Does the student say on this machine, made by this compiler, what it should? No output but one line. */
#include <stdio.h>

#include "student.stream.h"

int main(void) {
    static student_stream_test test; /* too large for some stacks */
    if (!student_stream_self_test(&test)) {
        printf("self-test: %d hops are answered as they should be\n", (int)test.example);
        return 0;
    }
    fprintf(stderr, "self-test: hop %d: %s[%d] is %g, and should be %g, give or take %g\n", (int)test.example, test.output,
            (int)test.element, (double)test.got, (double)test.expected, (double)test.allowed);
    return 1;
}
