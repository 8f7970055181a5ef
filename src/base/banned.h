// SPDX-License-Identifier: Apache-2.0
// banned.h: calls that have no safe use here become compile errors. Force-included by the Makefile after the system headers.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
// Under FORTIFY some of them are macros already; a poisoned name must not be one.
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef gets
#undef strncat
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atof gmtime localtime asctime ctime setjmp longjmp strncat
