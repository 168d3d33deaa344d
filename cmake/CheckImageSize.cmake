# cmake -DIMAGE=<file> -DLIMIT=<bytes> -P CheckImageSize.cmake: fails if the file is larger than the limit.
file(SIZE "${IMAGE}" size)
if(size GREATER LIMIT)
  file(REMOVE "${IMAGE}")
  message(FATAL_ERROR "${IMAGE} has ${size} bytes, more than the ${LIMIT} allowed for an image")
endif()
