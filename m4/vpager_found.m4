# SPDX-License-Identifier: MIT
#
# What else is on this machine, and what configure says about it at its end: one line each with what was found, what follows
# from it, and the Debian package that would bring what is missing.

# VPAGER_NEED(WHAT, DEBIAN PACKAGE): ends configure; for what nothing works without.
AC_DEFUN([VPAGER_NEED], [AC_MSG_ERROR([$1 is missing.  On Debian: apt-get install $2])])

# VPAGER_SAY(NAME, FOUND, WHAT FOLLOWS): a line of the summary.
AC_DEFUN([VPAGER_SAY], [vpager_summary="$vpager_summary`printf '\n  %-13s %-4s  %s' "$1" "$2" "$3"`"])

# VPAGER_OPTIONAL_LIBRARY(NAME, PKG-CONFIG MODULE, -l FLAGS WITHOUT PKG-CONFIG, DEBIAN PACKAGE, WITH IT, WITHOUT IT,
#                         PROLOGUE, BODY)
# Looks for a library that links a program of PROLOGUE and BODY, as pkg-config would have it (a foreign architecture's is no
# use) or by its bare name.  --without-NAME leaves it out, --with-NAME insists on it.  Sets NAME_CFLAGS, NAME_LIBS, have_NAME.
AC_DEFUN([VPAGER_OPTIONAL_LIBRARY], [
m4_pushdef([NAME], m4_toupper([$1]))dnl
AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [do not use $1 ($6)])], [], [with_$1=auto])
AC_SUBST(NAME[_CFLAGS])
AC_SUBST(NAME[_LIBS])
have_$1=no
AS_IF([test "x$with_$1" != xno], [
  m4_ifval([$2], [PKG_CHECK_MODULES(NAME, [$2], [have_$1=found], [:])])
  AS_IF([test "x$have_$1" = xno], [NAME[_LIBS]="$3"])
  vpager_saved_CFLAGS=$CFLAGS
  vpager_saved_LIBS=$LIBS
  CFLAGS="$CFLAGS $NAME[_CFLAGS]"
  LIBS="$NAME[_LIBS] $LIBS"
  AC_MSG_CHECKING([whether a program with $1 links])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([$7], [$8])], [have_$1=yes], [have_$1=no])
  AC_MSG_RESULT([$have_$1])
  CFLAGS=$vpager_saved_CFLAGS
  LIBS=$vpager_saved_LIBS])
AS_IF([test "x$with_$1$have_$1" = xyesno], [VPAGER_NEED([$1], [$4])])
AS_IF([test "$have_$1" = yes], [VPAGER_SAY([$1], [yes], [$5])], [
  NAME[_CFLAGS]=
  NAME[_LIBS]=
  VPAGER_SAY([$1], [no], [$6; Debian package: $4])])
m4_popdef([NAME])])

# VPAGER_OPTIONAL_CXX_OBJECT(NAME, -l FLAGS, DEBIAN PACKAGE, WITH IT, WITHOUT IT, C++ SOURCE, PROLOGUE, BODY)
# The same for a C++ library behind one object file of C++: whether CXX compiles such a SOURCE, and a C program of PROLOGUE and
# BODY links with it.
AC_DEFUN([VPAGER_OPTIONAL_CXX_OBJECT], [
m4_pushdef([name], m4_translit([$1], [-], [_]))dnl
m4_pushdef([NAME], m4_toupper(name))dnl
AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [do not use $1 ($5)])], [], [AS_VAR_SET([with_]name, [auto])])
AC_SUBST(NAME[_LIBS])
have_[]name=no
AS_IF([test "x$with_[]name" != xno && test -n "$CXX"], [
  AC_MSG_CHECKING([whether a program with $1 links])
  AC_LANG_CONFTEST([AC_LANG_SOURCE([$6])])
  mv conftest.c conftest.cc
  AS_IF([AC_RUN_LOG([$CXX $CPPFLAGS $CXXFLAGS -c conftest.cc -o conftest_cxx.$OBJEXT])], [
    vpager_saved_LIBS=$LIBS
    LIBS="conftest_cxx.$OBJEXT $2 $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([$7], [$8])], [have_[]name=yes])
    LIBS=$vpager_saved_LIBS])
  rm -f conftest.cc conftest_cxx.$OBJEXT
  AC_MSG_RESULT([$have_[]name])])
AS_IF([test "x$with_[]name$have_[]name" = xyesno], [VPAGER_NEED([$1], [$3])])
AS_IF([test "$have_[]name" = yes], [
  NAME[_LIBS]="$2"
  VPAGER_SAY([$1], [yes], [$4])], [VPAGER_SAY([$1], [no], [$5; Debian package: $3])])
m4_popdef([NAME])m4_popdef([name])])

# VPAGER_OPTIONAL_TOOL(VARIABLE, NAME, PROGRAMS, DEBIAN PACKAGE, WITH IT, WITHOUT IT): something that only tests use.
# VARIABLE=no leaves it out.
AC_DEFUN([VPAGER_OPTIONAL_TOOL], [
AC_ARG_VAR([$1], [$2 for the tests; no: none])
AC_CHECK_PROGS([$1], [$3])
AS_IF([test "x$$1" = xno], [$1=])
AS_IF([test -n "$$1"], [VPAGER_SAY([$2], [yes], [$5])], [VPAGER_SAY([$2], [no], [$6; Debian package: $4])])])
